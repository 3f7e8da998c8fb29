"""HTTP jobs: accepted once they are on disk, computed by worker processes, told as they happen.

``run`` starts the server, ``app`` builds the ASGI application, ``routes`` answer requests,
``store`` keeps jobs and events, ``dispatcher`` hands jobs to the processes of ``pool``, and
``worker`` is what runs in them. A worker imports nothing of the web, the routes nothing of torch's
models. The package needs the extra ``[serve]``.
"""
