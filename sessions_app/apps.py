from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "sessions_app"
    verbose_name = "Sessions and tokens"

    def ready(self) -> None:
        # Registers system checks, and receivers of what happens to people and connections.
        from sessions_app.account import mail, security_acts  # noqa: F401
        from sessions_app.audit import heard, permit  # noqa: F401
        from sessions_app.session import checks, sealed_tables  # noqa: F401
        from sessions_app.signin import factors, remembered, sign_in  # noqa: F401
