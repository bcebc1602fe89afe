from django.apps import AppConfig


class LogoutConfig(AppConfig):
    name = "logout_app"
    verbose_name = "Sign-out"

    def ready(self) -> None:
        from logout_app import checks, receivers  # noqa: F401  registers checks, connects the signals from below
