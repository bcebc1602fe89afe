"""People who come by a mail: invitations, sign-up, sign-in without a password. What a link shows by GET changes nothing."""
