"""The composition root of the wire surface: names the apps above as strings only."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("sessions_app.views.routes")),  # first: what everybody asks for; all of it is tried in this order
    path("", include("logout_app.views.routes")),
    path("", include("idp.views.routes")),
    path("", include("logout_app.api.routes")),
    path("admin/", admin.site.urls),
]

handler400 = "idp.views.errors.bad_request"
handler403 = "idp.views.errors.forbidden"
handler404 = "idp.views.errors.not_found"
handler500 = "idp.views.errors.server_error"
