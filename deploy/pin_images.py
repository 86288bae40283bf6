"""Names the images of others in Dockerfile and compose.yaml by digest, as their registries have them now: make pin.

An image with a digest is the same one for ever, whatever its tag comes to mean; the tag stays beside it for the reader.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

FILES = ("Dockerfile", "compose.yaml")
IMAGE = re.compile(r"^((?:FROM|\s+image:) )([\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?(?=\s|$)", re.MULTILINE)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main(folder: Path) -> None:
    """Write the files anew in `folder`, or end with a sentence before any is changed."""
    texts = {folder / name: (folder / name).read_text() for name in FILES}
    images = sorted({found[2] for text in texts.values() for found in IMAGE.finditer(text)})
    digests = {image: digest(image) for image in images}
    for path, text in texts.items():
        path.write_text(IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{digests[found[2]]}", text))
    for image, known in digests.items():
        print(f"{image}@{known}")


def digest(image: str) -> str:
    """That of an image's list of platforms. Ends the program where the registry cannot be asked."""
    command = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{json .Manifest}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = str(json.loads(done.stdout)["digest"])
    except subprocess.CalledProcessError as fault:
        sys.exit(f"{image}: its registry gave no digest: {fault.stderr.strip()}")
    except (OSError, ValueError, KeyError, TypeError):
        sys.exit(f"{image}: docker buildx, which asks its registry, is not installed, or gave no digest.")
    if not DIGEST.fullmatch(found):
        sys.exit(f"{image}: a digest reads sha256:…, got {found!r:.80}.")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
