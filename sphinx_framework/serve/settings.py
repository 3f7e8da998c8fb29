"""Every setting of a server, checked once."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import URL, make_url

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
MEGABYTE = 1_000_000
LARGEST = 1e9  # of any size


class Settings(BaseModel):
    """The flags of ``sphinx-nvs serve``; sizes in megabytes, times in seconds unless named."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data: Path = Path("sphinx-nvs-data")
    db: str | None = None
    workers: int = Field(default=1, ge=1, le=256)
    threads: int = Field(default=1, ge=1)
    batch: int = Field(default=1, ge=1)
    engine: Literal["local", "ray"] = "local"
    device: str = "auto"
    licence_policy: Literal["any", "permissive"] = "any"
    max_upload_mb: float = Field(default=64, gt=0, le=LARGEST)
    max_unpacked_mb: float = Field(default=256, gt=0, le=LARGEST)
    max_entries: int = Field(default=2000, ge=1)
    max_photos: int = Field(default=64, ge=1)
    max_pixels: int = Field(default=40_000_000, ge=1)
    max_targets: int = Field(default=200, ge=1)
    max_queue: int = Field(default=100, ge=1)
    max_wait_seconds: float = Field(default=120, gt=0)
    max_streams: int = Field(default=256, ge=1)
    job_timeout_seconds: float = Field(default=600, gt=0)
    worker_memory_mb: float | None = Field(default=None, gt=0, le=LARGEST)
    max_attempts: int = Field(default=3, ge=1)
    keep_hours: float = Field(default=24, gt=0, allow_inf_nan=True)  # inf: for good
    max_data_gb: float = Field(default=10, gt=0, le=LARGEST)
    cache_mb: float = Field(default=512, ge=0, le=LARGEST)
    heartbeat_seconds: float = Field(default=15, gt=0)
    header_seconds: float = Field(default=10, gt=0)
    body_seconds: float = Field(default=60, gt=0)
    stop_seconds: float = Field(default=30, ge=0)
    api_keys: Path | None = None
    cors: tuple[str, ...] = ()
    allowed_host: tuple[str, ...] = ()
    insecure: bool = False
    page: bool = True
    metrics: bool = True
    json_logs: bool = False

    @field_validator("host")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        """IPv6 addresses have them in addresses of pages, not where sockets are opened."""
        return host.removeprefix("[").removesuffix("]")

    @property
    def max_upload_bytes(self) -> int:
        """Bytes of a request's body."""
        return int(self.max_upload_mb * MEGABYTE)

    @property
    def max_unpacked_bytes(self) -> int:
        """Bytes of all files of an archive together."""
        return int(self.max_unpacked_mb * MEGABYTE)

    @property
    def database_url(self) -> str | URL:
        """The database: ``--db``, or a SQLite file in the data directory, whatever its name."""
        return self.db or URL.create("sqlite", database=str(self._own_database))

    @property
    def database_elsewhere(self) -> bool:
        """Whether the database is not the one in the data directory, which ``--db`` may name."""
        if self.db is None:
            return False
        url = make_url(self.db)
        file = Path(url.database or ":memory:")
        return url.get_backend_name() != "sqlite" or file.resolve() != self._own_database.resolve()

    @property
    def _own_database(self) -> Path:
        return self.data / "jobs.sqlite3"

    @property
    def host_names(self) -> frozenset[str]:
        """Names that a request's ``Host`` may have, without a port."""
        own = (self.host, self.url_host)
        return frozenset(name.lower() for name in (*LOOPBACK, *own, *self.allowed_host))

    @property
    def url_host(self) -> str:
        """The host in addresses of pages, where IPv6 addresses have brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host
