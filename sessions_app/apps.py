from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "sessions_app"
    verbose_name = "Sessions and tokens"

    def ready(self) -> None:
        from sessions_app import checks  # noqa: F401  registers the system checks
