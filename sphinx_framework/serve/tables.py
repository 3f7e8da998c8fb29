"""The database: jobs, their events, their files, and whose it is."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# Which data directory the database belongs to, where it does not lie in it.
home = Table(
    "home",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("token", String(64), nullable=False),
)

# What the last server ran: its queued jobs were accepted for that.
pipeline = Table(
    "pipeline",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(30), nullable=False, unique=True),
    Column("owner", String(64), nullable=False),
    Column("status", String(10), nullable=False),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("attempt", Integer, nullable=False, default=0),
    Column("deaths", Integer, nullable=False, default=0),
    Column("front", Boolean, nullable=False, default=False),
    Column("deadline", Float, nullable=False),
    Column("predicted_seconds", Float, nullable=False, default=0.0),
    Column("model", String(200), nullable=False),
    Column("request", JSON, nullable=False),
    Column("served", JSON, nullable=False),
    Column("scene", JSON, nullable=False),
    Column("scene_id", String(200), nullable=False),
    Column("stage", String(20), nullable=False, default="queued"),
    Column("step", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False, default=0),
    Column("plan", JSON),
    Column("error", JSON),
    Column("idempotency_key", String(200)),
    Column("fingerprint", String(64), nullable=False),
    Column("last_event", Integer, nullable=False, default=0),
    UniqueConstraint("owner", "idempotency_key"),
    Index("jobs_by_owner", "owner", "number"),
    Index("jobs_by_status", "status"),
    Index("jobs_by_scene", "scene_id"),
)

events = Table(
    "events",
    metadata,
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("event", String(10), nullable=False),
    Column("data", Text, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("media_type", String(100), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("in_result", Boolean, nullable=False, default=False),
)
