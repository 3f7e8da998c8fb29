import pytest


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    from servers import FakeServer

    made = FakeServer(tmp_path_factory.mktemp("serve"), "--heartbeat-seconds", "0.3").start()
    yield made
    made.stop()
