"""The SDK's calls about images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker.problems import advice, explained

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping


class ImageCalls:
    """The half of a `Daemon` that is about images."""

    _api: Any

    def has_image(self, name: str) -> bool:
        """Whether an image is there."""
        import docker.errors  # noqa: PLC0415 - as above

        with explained(f"image {name}"):
            try:
                self._api.inspect_image(name)
            except docker.errors.ImageNotFound:
                return False
        return True

    def image_config(self, name: str) -> Mapping[str, Any]:
        """An image's own configuration: Entrypoint, Cmd, User, ..."""
        with explained(f"image {name}"):
            return dict(self._api.inspect_image(name).get("Config") or {})

    def ensure_image(self, name: str) -> None:
        """Pull an image that is not there."""
        if not self.has_image(name):
            self.pull(name)

    def pull(self, name: str) -> None:
        """Pull an image."""
        with explained(f"image {name} is not here and cannot be pulled"):
            self._api.pull(name)

    def build(self, context: io.BufferedIOBase, tag: str, labels: Mapping[str, str]) -> None:
        """Build an image from a context as a tar, without network."""
        with explained(f"image {tag} cannot be built"):
            lines = self._api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                labels=dict(labels),
                network_mode="none",
                rm=True,
                forcerm=True,
                decode=True,
            )
            said = []
            for line in lines:
                said.append(str(line.get("stream", "")))
                if "error" in line:
                    raise RuntimeFailure(
                        f"image {tag} cannot be built: {line['error']}{advice(line['error'])}\n{''.join(said)[-2000:]}"
                    )

    def import_image(self, archive: str, name: str, tag: str) -> None:
        """Make an image out of a file system in a tar."""
        with explained(f"image {name} cannot be made"):
            self._api.import_image_from_file(archive, repository=name, tag=tag)

    def images(self, label: str) -> list[tuple[list[str], float]]:
        """Tags and time of making, in epoch seconds, of images that carry a label."""
        with explained("images cannot be listed"):
            found = self._api.images(filters={"label": label})
        return [(list(one["RepoTags"] or []), float(one["Created"])) for one in found]

    def remove_image(self, name: str) -> None:
        """Remove an image that no container needs."""
        with explained(f"image {name}"):
            self._api.remove_image(name)
