"""Words of an administrator's own on pages and in mails, and guessing in Auth0's words."""

from __future__ import annotations

from tests.support.openapi.words import Bodies, answer, body, many, mapping, one_of, ref, switch, text, whole

WORDS = {"subject": text(), "body": text("Plain text with places like `{{ url }}`.")}
MAIL = {
    "template": text("Cannot change."),
    "enabled": switch("False is refused: the mail is sent in any case."),
    "syntax": one_of(("liquid",)),
    "from": text("Empty."),
    "resultUrl": text("Empty."),
    "includeEmailInRedirect": switch("False."),
    "urlLifetimeInSeconds": whole("Is refused: how long a link lasts is not chosen here."),
    **WORDS,
    "languages": mapping("`{language: {subject, body}}` beside the tenant's own language. Ours."),
}
COMPONENTS = {
    "MailTemplate": answer(
        {name: MAIL[name] for name in MAIL if name not in ("languages", "urlLifetimeInSeconds")},
        {"languages": MAIL["languages"]},
    ),
    "Prompts": answer(
        {
            "universal_login_experience": text(),
            "identifier_first": switch(),
            "webauthn_platform_first_factor": switch(),
        }
    ),
}
TEXTS = mapping("`{screen: {key: text}}`.", of=mapping(of=text()))
CUSTOM = "prompts/{prompt}/custom-text/{language}"
TEMPLATE = "email-templates/{name}"
GUARD = {"enabled": switch(), "shields": many(text())}
BODIES = {
    "GET prompts": Bodies(ref("Prompts")),
    "PATCH prompts": Bodies(
        ref("Prompts"),
        body(
            universal_login_experience=one_of(("new",)),
            identifier_first=switch("False."),
            webauthn_platform_first_factor=switch("False."),
        ),
    ),
    "GET prompts/rendering": Bodies(
        answer({"configs": many(mapping()), "start": whole(), "limit": whole(), "total": whole()}), unpaged=True
    ),
    f"GET {CUSTOM}": Bodies(TEXTS),
    f"PUT {CUSTOM}": Bodies(TEXTS, mapping("`{screen: {key: text}}`.")),
    "GET prompts/{prompt}/partials": Bodies(answer({})),
    "POST email-templates": Bodies(ref("MailTemplate"), body(**MAIL), also=(409,)),
    f"GET {TEMPLATE}": Bodies(ref("MailTemplate")),
    f"PATCH {TEMPLATE}": Bodies(ref("MailTemplate"), body(**MAIL)),
    f"PUT {TEMPLATE}": Bodies(ref("MailTemplate"), body(**MAIL)),
    f"DELETE {TEMPLATE}": Bodies(),
    "GET attack-protection/brute-force-protection": Bodies(
        answer({**GUARD, "allowlist": many(text()), "mode": text(), "max_attempts": whole()})
    ),
    "GET attack-protection/suspicious-ip-throttling": Bodies(
        answer(
            {
                **GUARD,
                "allowlist": many(text()),
                "stage": mapping(of=answer({"max_attempts": whole(), "rate": whole("Milliseconds.")})),
            }
        )
    ),
    "GET attack-protection/breached-password-detection": Bodies(
        answer({**GUARD, "admin_notification_frequency": many(text()), "method": text()})
    ),
    "GET attack-protection/bot-detection": Bodies(
        answer(
            {
                "bot_detection_level": text(),
                "monitoring_mode_enabled": switch(),
                "allowlist": many(text()),
                **{f"challenge_{name}_policy": text() for name in ("password", "passwordless", "password_reset")},
            }
        )
    ),
    "GET attack-protection/captcha": Bodies(answer({})),
}
