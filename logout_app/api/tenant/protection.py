"""How guessing is limited, in Auth0's words. It is the same for every tenant and is not switched off, so this is only read."""

from __future__ import annotations

from typing import Any

from idp.limits import limiter
from logout_app.api.frame.operations import Call, Operation

SCOPE = ["read:attack_protection"]
NEVER = "never"


def brute_force(call: Call) -> Any:
    """Wrong passwords of one account, from wherever; a database may switch this off (`brute_force_protection`)."""
    return {
        "enabled": True,
        "shields": ["block"],
        "allowlist": [],
        "mode": "count_per_identifier",
        "max_attempts": limiter.ACCOUNT.count,
    }


def throttling(call: Call) -> Any:
    """Wrong passwords of one network. `rate`: milliseconds after which one attempt comes back."""
    limit = limiter.ADDRESS
    stage = {"max_attempts": limit.count, "rate": limit.window * 1000 // limit.count}
    return {"enabled": True, "shields": ["block"], "allowlist": [], "stage": {"pre-login": stage}}


def breached_passwords(call: Call) -> Any:
    """Nobody outside is asked about passwords."""
    return {"enabled": False, "shields": [], "admin_notification_frequency": [], "method": "standard"}


def bots(call: Call) -> Any:
    """Nobody is shown a riddle."""
    stages = ("challenge_password_policy", "challenge_passwordless_policy", "challenge_password_reset_policy")
    return {
        "bot_detection_level": "low",
        "monitoring_mode_enabled": False,
        "allowlist": [],
        **dict.fromkeys(stages, NEVER),
    }


def no_captcha(call: Call) -> Any:
    return {}


OPERATIONS = (
    Operation("GET", "attack-protection/brute-force-protection", SCOPE, brute_force, "Guesses at one account."),
    Operation("GET", "attack-protection/suspicious-ip-throttling", SCOPE, throttling, "Guesses of one network."),
    Operation("GET", "attack-protection/breached-password-detection", SCOPE, breached_passwords, "Off: nobody is asked."),
    Operation("GET", "attack-protection/bot-detection", SCOPE, bots, "Off."),
    Operation("GET", "attack-protection/captcha", SCOPE, no_captcha, "None."),
)  # fmt: skip
