"""The image service, asked for images of a name; keystone's catalog says where it is."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from keystoneauth1.exceptions import CatalogException, ClientException
from pydantic import BaseModel, ConfigDict, TypeAdapter

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.base import require_shape
from holdfast.probes.clients import cause_of
from holdfast.probes.nova import api_client
from holdfast.probes.nova.site import ApiSite


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    id: str
    name: str | None = None


class _Images(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    images: list[_Image]


_IMAGES = TypeAdapter(_Images)


def images_called(site: ApiSite, name: str) -> Sequence[Json]:
    """Return the images of exactly this name, as the service lists them.

    Raises:
        CannotTell: it does not say, or the catalog names none.
    """
    session = api_client.log_in(site)
    try:
        url = session.get_endpoint(service_type="image", interface="public")
        path = "" if urlsplit(url).path.rstrip("/").endswith("/v2") else "/v2"
        reply = session.get(
            f"{url.rstrip('/')}{path}/images", params={"name": name}, raise_exc=False
        )
        body = reply.json() if reply.ok else None
    except CatalogException:
        raise CannotTell(
            "keystone's catalog names no image service, which knows images by name",
            remedy="give the image's id",
        ) from None
    except (ClientException, ValueError) as error:
        cause = cause_of(error)
        raise CannotTell(f"the image service gave no answer: {cause}") from None
    if body is None:
        raise CannotTell(f"the image service answered {reply.status_code}")
    require_shape(body, _IMAGES, "the image service answered")
    return [each for each in body["images"] if each.get("name") == name]
