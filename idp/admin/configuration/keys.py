"""Signing keys: which there are, since when and until when, and two acts: the next one, or none of these any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from idp.admin.support import AdminAct, FactsAdmin, actor_of
from idp.admin.times import shown
from idp.crypto import lifetimes, rotation
from idp.crypto.rotation import Mover
from idp.http.requests import facts
from idp.models import KeyStatus, SigningKey


def mover_of(request: HttpRequest) -> Mover:
    return Mover(actor_of(request), facts(request))


def explain_rotation(key: SigningKey) -> list[str]:
    seconds = lifetimes.ahead().total_seconds()
    return [
        f"A successor of every key is published now. It signs as soon as every cache knows it, in {seconds / 60:g} minutes, by itself.",
        "Tokens that the old keys signed stay valid until they expire: nobody notices.",
        "If a key was stolen, this is not enough: withdraw it.",
    ]


def do_rotate(request: HttpRequest, key: SigningKey, at: datetime, form: forms.Form | None) -> str:
    moves = rotation.rotate(at, force=True, mover=mover_of(request))
    return "; ".join(map(str, moves)) or "The next keys are published already, and sign when every cache knows them."


def do_withdraw(request: HttpRequest, key: SigningKey, at: datetime, form: forms.Form | None) -> str:
    return "; ".join(map(str, rotation.withdraw(at, [key.algorithm], mover=mover_of(request))))


@admin.register(SigningKey)
class SigningKeyAdmin(FactsAdmin):
    reads_standby = False
    list_display = ("kid", "algorithm", "status", "created_at", "signs", "retired_at", "leaves")
    list_filter = ("status", "algorithm")
    search_fields = ("kid",)
    fields = (
        *("kid", "algorithm", "status", "created_at", "signs", "successor", "retired_at", "leaves", "gone_at"),
        "public_jwk",
    )
    readonly_fields = ("signs", "successor", "leaves")

    @admin.display(description="signs from")
    def signs(self, obj: SigningKey) -> str:
        return shown(lifetimes.signs_from(obj) if obj.status == KeyStatus.NEXT else obj.activated_at)

    @admin.display(description="successor is published")
    def successor(self, obj: SigningKey) -> str:
        return shown(lifetimes.ages(obj) if obj.status == KeyStatus.ACTIVE else None)

    @admin.display(description="published until")
    def leaves(self, obj: SigningKey) -> str:
        return shown(obj.gone_at or lifetimes.published_until(obj))

    def get_acts(self) -> Sequence[AdminAct]:
        return (
            AdminAct(
                "rotate",
                "Rotate the signing keys",
                explain_rotation,
                do_rotate,
                offered=lambda key: key.status == KeyStatus.ACTIVE,
            ),
            AdminAct(
                "withdraw",
                "Withdraw: it was stolen",
                self._explain_withdrawal,
                do_withdraw,
                offered=lambda key: key.status != KeyStatus.GONE,
            ),
        )

    @staticmethod
    def _explain_withdrawal(key: Any) -> list[str]:
        return rotation.fallout([key.algorithm])
