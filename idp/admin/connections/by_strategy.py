"""Strategy -> its form."""

from __future__ import annotations

from collections.abc import Mapping

from idp.admin.connections.database import DatabaseConnectionForm
from idp.admin.connections.directory import DirectoryForm
from idp.admin.connections.forms import ConnectionForm
from idp.admin.connections.oidc import AdfsForm, EntraForm, GoogleForm, OidcForm, OktaForm
from idp.admin.connections.saml import SamlForm
from idp.models import Strategy

FORMS: Mapping[str, type[ConnectionForm]] = {
    Strategy.DATABASE: DatabaseConnectionForm,
    Strategy.OIDC: OidcForm,
    Strategy.OKTA: OktaForm,
    Strategy.GOOGLE: GoogleForm,
    Strategy.ENTRA: EntraForm,
    Strategy.ADFS: AdfsForm,
    Strategy.SAML: SamlForm,
    Strategy.ACTIVE_DIRECTORY: DirectoryForm,
}
