"""By which channel and which app a model sends."""

from __future__ import annotations

from collections.abc import Callable

from libax_automate.engine.spec import ModelSpec, Profile, Wording
from libax_automate.errors import ProfileError
from libax_automate.message import Channel

#: app → the channels it sends by
ChannelsOf = Callable[[str], frozenset[Channel]]
#: the channels that have an address
_REACHING = frozenset({Channel.EMAIL, Channel.SMS, Channel.WHATSAPP})


def channel_of(spec: ModelSpec, profile: Profile, *, step: str = "", channels_of: ChannelsOf | None = None) -> tuple[Channel, str]:
    """The channel and the app that a model (or one of its steps) sends by; raises ProfileError where none is set.

    ``via``, else the default app of ``channel`` (LX-13); e-mail without one goes over the free plan (LX-15). Without ``channel``, the one
    that ``via`` sends; else e-mail where the wording has a subject or HTML, or no other channel has a default app. ``channels_of`` answers
    the channels of an app.
    """
    from libax_automate.engine.workspace import FREE_PLAN

    at = next((each for each in spec.steps if each.name == step), None)
    if spec.webhook is not None:
        return Channel.WEBHOOK, spec.webhook
    channel = (at.channel if at else None) or spec.channel
    via = (at.via if at else None) or spec.via
    wording = at.wording if at and says(at.wording) else spec.wording
    if channel is None:
        offered = (
            channels_of(via)
            if via and channels_of
            else frozenset(each for each, app in profile.defaults.apps.items() if via in (None, app))
        )
        offered = offered & _REACHING
        if Channel.EMAIL in offered and (len(offered) == 1 or wording.subject or wording.html):
            channel = Channel.EMAIL
        elif len(offered) == 1 and not (wording.subject or wording.html):
            channel = next(iter(offered))
        elif len(offered) > 1 and via is not None and Channel.EMAIL not in offered:
            raise ProfileError(f"model {spec.name!r}: {via!r} sends {' and '.join(sorted(offered))}", hint='say which: channel = "sms"')
        else:
            channel = Channel.EMAIL
    app = via or profile.defaults.apps.get(channel) or (FREE_PLAN if channel is Channel.EMAIL else "")
    if not app:
        raise ProfileError(
            f"model {spec.name!r}: no app sends {channel}", hint=f'add {channel} = "APP" to [defaults], or via = "APP" to the model'
        )
    return channel, app


def says(wording: Wording) -> bool:
    """Whether there is anything to say."""
    return bool(wording.text or wording.html or wording.template)
