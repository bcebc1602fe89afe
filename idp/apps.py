from django.apps import AppConfig


class IdpConfig(AppConfig):
    name = "idp"
    verbose_name = "Identity and trust"

    def ready(self) -> None:
        from idp import checks, configuration  # noqa: F401  registers the system checks

        configuration.watch()
