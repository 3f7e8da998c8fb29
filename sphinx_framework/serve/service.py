"""The parts of a running server, as routes need them."""

from dataclasses import dataclass
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.serve import store
from sphinx_framework.serve.acceptance import Acceptance
from sphinx_framework.serve.database import Database
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.dispatcher import Dispatcher
from sphinx_framework.serve.hub import Hub
from sphinx_framework.serve.job_view import job_view
from sphinx_framework.serve.keys import ApiKeys
from sphinx_framework.serve.metrics import Metrics
from sphinx_framework.serve.pool import Pool
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.retention import Retention
from sphinx_framework.serve.scene_views import SceneViews
from sphinx_framework.serve.settings import Settings
from sphinx_framework.serve.store import Row


@dataclass(slots=True, kw_only=True)
class Service:
    """Everything behind the routes."""

    settings: Settings
    config: PipelineConfig
    licences: tuple[dict[str, Any], ...]
    data: DataDirectory
    database: Database
    hub: Hub
    pool: Pool
    metrics: Metrics
    dispatcher: Dispatcher
    acceptance: Acceptance
    scene_views: SceneViews
    retention: Retention
    keys: ApiKeys | None

    def view(self, row: Row) -> dict[str, Any]:
        """A job as its client sees it."""
        return job_view(row, self.dispatcher.queue.place(row["id"]))

    async def job(self, owner: str, identity: str) -> Row:
        """A job of the caller's; :class:`Problem` 404 for all others."""
        row = await self.database.run(store.find, owner, identity)
        if row is None:
            raise Problem("not-found", "There is no such job.")
        return row

    async def delete(self, owner: str, identity: str) -> None:
        """Forget a finished job; :class:`Problem` while it is not."""
        row = await self.job(owner, identity)
        if row["status"] not in store.FINAL:
            raise Problem("job-not-finished", "Only finished jobs can be deleted; cancel it first.")
        await self.retention.delete(identity)
