"""Paths of this app."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from sessions_app.views import account, address, exported, passkeys, profile, pushed, saml, wsfed
from sessions_app.views.home import home
from sessions_app.views.newcomers import by_mail, invitation, sign_up
from sessions_app.views.oauth.authorize import authorize
from sessions_app.views.oauth.check_session import check_session
from sessions_app.views.oauth.consent import consent
from sessions_app.views.oauth.device import activate, device_code
from sessions_app.views.oauth.introspect import introspect
from sessions_app.views.oauth.revoke import revoke
from sessions_app.views.oauth.token import token
from sessions_app.views.oauth.userinfo import userinfo
from sessions_app.views.signin import callback, login, passkey, step_up
from sessions_app.views.signin.reauthenticate import reauthenticate

# Below /account/, so that one comparison tells whoever asks for something else that none of them is meant.
ACCOUNT: list[URLPattern | URLResolver] = [
    path("", profile.profile, name="account_profile"),
    path("address", address.address, name="account_address"),
    path("address/key/<str:key>", address.open_link, name="address_link"),
    path("address/confirm", address.confirm, name="address_confirm"),
    path("mfa/", account.sign_in_methods, name="mfa_index"),
    path("mfa/authenticate/", login.second_factor, name="mfa_authenticate"),
    path("mfa/ready/", step_up.set_up, name="step_up_done"),
    path("mfa/reauthenticate/", step_up.reauthenticate, name="mfa_reauthenticate"),
    path("mfa/webauthn/reauthenticate/", step_up.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("mfa/totp/activate/", step_up.activate_totp, name="mfa_activate_totp"),
    path("mfa/webauthn/add/", step_up.add_webauthn, name="mfa_add_webauthn"),
    path("mfa/webauthn/keys/<int:pk>/remove/", passkeys.remove, name="mfa_remove_webauthn"),
    path("mfa/webauthn/", account.keys, name="mfa_list_webauthn"),
    path("remembered/<int:pk>/forget/", account.forget_browser, name="account_forget_browser"),
    path("passkeys/add/", passkeys.add, name="account_add_passkey"),
    path("passkeys/offer/", passkeys.offer, name="account_passkey_offer"),
    path("mfa/", include("allauth.mfa.urls")),
    path("inactive/", account.inactive, name="account_inactive"),
    path("reauthenticate/", reauthenticate, name="account_reauthenticate"),
    path("email/verify/", account.verify_email, name="account_verify_email"),
    path("email/confirm/<str:key>/", account.confirm_email, name="account_confirm_email"),
    path("email/confirmed/", account.email_confirmed, name="account_email_confirmed"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path("password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("authorize", authorize, name="authorize"),
    path("authorize/consent", consent, name="authorize_consent"),
    path("oauth/token", token, name="token"),
    path("oauth/par", pushed.push, name="pushed_request"),
    path("oauth/revoke", revoke, name="revoke"),
    path("oauth/introspect", introspect, name="introspect"),
    path("oauth/device/code", device_code, name="device_code"),
    path("activate", activate, name="device_activate"),
    path("userinfo", userinfo, name="userinfo"),
    path("", home, name="home"),
    path("login", login.login, name="account_login"),
    path("login/passkey", passkey.challenge, name="login_passkey"),
    path("login/upstream/<slug:connection>", callback.start, name="login_upstream"),
    path("login/by-mail", by_mail.ask, name="by_mail"),
    path("login/by-mail/code", by_mail.code, name="by_mail_code"),
    path("login/by-mail/key/<str:key>", by_mail.open_link, name="by_mail_link"),
    path("login/by-mail/confirm", by_mail.confirm, name="by_mail_confirm"),
    path("signup", sign_up.sign_up, name="sign_up"),
    path("signup/sent", sign_up.sent, name="sign_up_sent"),
    path("signup/key/<str:key>", sign_up.open_link, name="sign_up_link"),
    path("signup/finish", sign_up.finish, name="sign_up_finish"),
    path("invitation", invitation.invitation, name="invitation"),
    path("invitation/key/<str:key>", invitation.open_link, name="invitation_link"),
    path("login/cancel", callback.cancel, name="login_cancel"),
    path("login/callback", callback.callback, name="login_callback"),
    path("login/callback/<slug:connection>", callback.own_callback, name="login_own_callback"),
    path("login/step-up", step_up.step_up, name="login_step_up"),
    path("account/", include(ACCOUNT)),
    path("exports/<str:key>", exported.exported_people, name="exported_people"),
    path("samlp/<str:client_id>", saml.sign_on, name="saml_sign_on"),
    path("samlp/metadata/<str:client_id>", saml.idp_metadata, name="saml_idp_metadata"),
    path(
        "wsfed/<str:client_id>/FederationMetadata/2007-06/FederationMetadata.xml",
        wsfed.federation_metadata,
        name="wsfed_metadata",
    ),
    path("oidc/check-session", check_session, name="check_session"),
]
