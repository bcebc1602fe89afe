"""Paths of this app."""

from django.urls import URLPattern, path, re_path

from logout_app.views import (
    account_activity,
    account_applications,
    account_logout,
    account_sessions,
    global_token_revocation,
    logout_in,
    not_me,
    oidc_logout,
    operations,
    saml_applications,
    saml_logout,
    sign_out_page,
    ssodata,
    upstream_logout,
    v2_logout,
    wsfed,
)
from logout_app.views.signals import shared_signals, ssf

PAGE = r"^logout/(?P<token>[A-Za-z0-9_-]{43})"

urlpatterns: list[URLPattern] = [
    path("livez", operations.livez, name="livez"),
    path("readyz", operations.readyz, name="readyz"),
    path("metrics", operations.metrics_page, name="metrics"),
    path("logout", account_logout.logout, name="account_logout"),
    path("account/sessions", account_sessions.your_sessions, name="your_sessions"),
    path("account/sessions/everywhere", account_sessions.sign_out_everywhere, name="sign_out_everywhere"),
    path("account/not-me/<str:key>/", not_me.this_was_not_me, name="this_was_not_me"),
    path("account/applications", account_applications.your_applications, name="your_applications"),
    path(
        "account/applications/<str:client_id>/remove",
        account_applications.remove_application,
        name="remove_application",
    ),
    path("account/activity", account_activity.your_activity, name="your_activity"),
    path("v2/logout", v2_logout.v2_logout, name="v2_logout"),
    path("oidc/logout", oidc_logout.oidc_logout, name="oidc_logout"),
    path("oidc/logout/confirm", oidc_logout.confirmed, name="oidc_logout_confirm"),
    path("oidc/logout/stay", oidc_logout.stayed, name="oidc_logout_stay"),
    path("backchannel-logout/<slug:connection>", logout_in.backchannel_logout, name="backchannel_logout"),
    path("frontchannel-logout/<slug:connection>", logout_in.frontchannel_logout, name="frontchannel_logout"),
    path("samlp/<str:client_id>/logout", saml_applications.single_logout, name="saml_application_logout"),
    re_path(
        r"^samlp/(?P<client_id>[^/]+)/logout/(?P<reference>[A-Za-z0-9_-]{43})$",
        saml_applications.answer,
        name="saml_logout_answer",
    ),
    path("samlp/<slug:connection>/slo", saml_logout.single_logout, name="saml_logout"),
    path("wsfed/<str:client_id>", wsfed.passive, name="wsfed"),
    path("logout/callback", upstream_logout.logout_callback, name="logout_callback"),
    path("logout/complete", oidc_logout.complete, name="sign_out_complete"),
    re_path(rf"{PAGE}$", sign_out_page.sign_out_page, name="sign_out_page"),
    re_path(rf"{PAGE}/upstream$", upstream_logout.leave_upstream, name="leave_upstream"),
    re_path(rf"{PAGE}/saml/(?P<application>[0-9]{{1,18}})$", saml_applications.frame, name="sign_out_saml"),
    re_path(rf"{PAGE}/status$", sign_out_page.sign_out_status, name="sign_out_status"),
    re_path(rf"{PAGE}/outcome$", sign_out_page.sign_out_outcome, name="sign_out_outcome"),
    re_path(rf"{PAGE}/retry$", sign_out_page.sign_out_retry, name="sign_out_retry"),
    path(
        "oauth/global-token-revocation",
        global_token_revocation.global_token_revocation,
        name="global_token_revocation_by_issuer",
    ),
    path(
        "oauth/global-token-revocation/connection/<slug:connection>",
        global_token_revocation.global_token_revocation,
        name="global_token_revocation",
    ),
    path("ssf/<slug:connection>/events", shared_signals.shared_signals, name="shared_signals"),
    path(".well-known/ssf-configuration", ssf.metadata, name="ssf_configuration"),
    path(".well-known/risc-configuration", ssf.metadata, name="risc_configuration"),
    path("ssf/streams", ssf.streams, name="ssf_streams"),
    path("ssf/status", ssf.status, name="ssf_status"),
    path("ssf/subjects/add", ssf.add_subject, name="ssf_add_subject"),
    path("ssf/subjects/remove", ssf.remove_subject, name="ssf_remove_subject"),
    path("ssf/verify", ssf.verify, name="ssf_verify"),
    path("ssf/poll/<str:stream_id>", ssf.poll_events, name="ssf_poll"),
    path("user/ssodata", ssodata.ssodata, name="ssodata"),
]
