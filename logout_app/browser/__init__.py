"""What the browser meets when its session ends: the sign-out page, the way upstream and back. The end itself is `ending`."""
