"""What happens here and must be heard above.

Each is sent with `send()` inside the transaction of the change, so that a receiver that fails rolls the change back.
Keyword arguments of all but the last two: `user` (or `connection`), `actor` (str, who did it), `at` (aware datetime).
"""

from django.dispatch import Signal

password_changed = Signal()  # `why`: a `PasswordChange`
user_blocked = Signal()
user_unblocked = Signal()
user_deleted = Signal()
powers_changed = Signal()  # what `user` may do in the console: `changes` and `facts` as of an application
person_edited = Signal()  # names of the `attributes` of `user` that an administrator changed; `facts`: of the request
administered = Signal()  # an administrator did `act` to `target`, which is one of our rows; `actor`, `at`, `facts`
signed_up = Signal()  # `user` has a new account at `connection`; `facts` of the request
invitation_changed = (
    Signal()
)  # `act` was done to `invitation`; `user`: who accepted it, or None; `facts` of the request
email_changed = Signal()  # `old` and `was_verified`: the address before; `restores`: it was theirs until it was taken
address_proved = (
    Signal()
)  # `user` is the first to show that they read their address; the account may have been another's
mfa_added = Signal()  # `factor`: its row
mfa_removed = Signal()  # `factor`: its row, which is gone
connection_disabled = Signal()
identity_moved = Signal()  # `user` is whose it was, `identity` the account that signs somebody else in from now on
connection_changed = Signal()  # `changes`: [{"what", "from", "to"}] in words; `facts`: of the request, None without one
application_changed = Signal()  # `application` was made, changed or deleted: `changes` and `facts` as above
signing_key_moved = Signal()  # `key` was `act`: published, active, retiring, gone or withdrawn; `facts` as above
saml_key_rotated = Signal()  # a step of the rotation: `step`, `fingerprint` of the key, `actor`, `at`, `facts`
secrets_resealed = Signal()  # `act` was done by (or to) an encryption `key`, to so many of `tables`; `actor`, `at`
tenant_changed = Signal()  # the tenant's settings: `changes` and `facts` as above
groups_changed = (
    Signal()
)  # of `user`, as `source` says: names `added` and `removed`, the groups' `connection` (or None)
group_deleted = Signal()  # `group`, in which there were `people` (a number), `actor`, `at`
role_changed = Signal()  # `role` was made, changed or deleted: `changes` and `facts` as of an application
roles_changed = Signal()  # of `user`: names `added` and `removed`
assignments_changed = Signal()  # `user` may (`is_assigned`) or may not use `application` any more
access_changed = Signal()  # somebody may use less than before: `users`, `applications` (keys; None: any), `actor`, `at`
claim_left_out = Signal()  # the first time since its mapping changed: `application`, `claim`, `reason`, `at`
person_deprovisioned = (
    Signal()
)  # the source of `connection` says that `user` must be out: `why`, `facts`, also `actor`, `at`
provisioned = Signal()  # the source of `connection` wrote `user` (or None): `act`, `data`, `actor`, `at`, `facts`
provisioning_refused = Signal()  # a request of `connection`: `status`, `reason`, `what`, `actor`, `at`, `facts`
guessing_throttled = Signal()  # `what` was guessed at too often, `facts` of the request, `at`
policy_violated = Signal()  # browsers reported it: `counts` by directive; no transaction, `actor` or `at`
connection_tested = (
    Signal()
)  # `connection`, `at`: receivers return what else an administrator should know (list[Finding])
