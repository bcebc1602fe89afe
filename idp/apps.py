from django.apps import AppConfig


class IdpConfig(AppConfig):
    name = "idp"
    verbose_name = "Identity and trust"

    def ready(self) -> None:
        from django.conf import settings

        from idp.crypto import lifetimes
        from idp.operations import (
            catalogues,
            checks,  # noqa: F401  registers the system checks
            sealed_tables,  # noqa: F401  names them
        )
        from idp.people import console_roles  # noqa: F401  brings roles up to date after each `migrate`
        from idp.tenants import configuration

        configuration.watch()
        lifetimes.watch()
        catalogues.compile_all(settings.RESOURCES / "locale", settings.LOCALE_PATHS[0])
