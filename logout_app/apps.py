from django.apps import AppConfig


class LogoutConfig(AppConfig):
    name = "logout_app"
    verbose_name = "Sign-out"

    def ready(self) -> None:
        from logout_app.delivery import violations  # noqa: F401  connects a signal from below
        from logout_app.ending import access_lost, provisioning, receivers, unnamed  # noqa: F401  connects the signals from below
        from logout_app.streams import granted, sealed_secrets, subjects  # noqa: F401  the same, and its sealed columns
        from logout_app.streams.file import transmitter, webhooks  # noqa: F401  brings sections of the tenant file
