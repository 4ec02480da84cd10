"""The checks of webhook signatures that connectors choose from. Pure; every refusal is a `BadSignature`."""

from connectors.hmac_signatures import (
    fireflies,
    hubspot,
    ringcentral,
    ringcentral_challenge,
    url_token,
    websub,
    websub_challenge,
    zoom,
    zoom_challenge,
)  # fmt: skip
from connectors.jwt_signatures import dialpad, gong, gong_key, google_push
from connectors.standard_webhooks import sign_standard_webhook, standard, standard_webhook

__all__ = [
    "dialpad", "fireflies", "gong", "gong_key", "google_push", "hubspot", "ringcentral", "ringcentral_challenge",
    "sign_standard_webhook", "standard", "standard_webhook", "url_token", "websub", "websub_challenge", "zoom",
    "zoom_challenge",
]  # fmt: skip
