"""The product's password hash with parameters that take no time: 25 ms of every sign-in would be a fifth of the tests."""

from idp.people.hashers import OwaspArgon2Hasher


class QuickArgon2Hasher(OwaspArgon2Hasher):
    time_cost = 1
    memory_cost = 8  # KiB
