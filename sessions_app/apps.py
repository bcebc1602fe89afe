from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "sessions_app"
    verbose_name = "Sessions and tokens"

    def ready(self) -> None:
        from sessions_app import (  # noqa: F401  register system checks, and receivers of what happens to people and connections
            checks,
            factors,
            mail,
            sign_in,
        )
        from sessions_app.audit import heard, permit  # noqa: F401
