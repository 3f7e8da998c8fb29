import pytest


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    from servers import FakeServer

    flags = ("--heartbeat-seconds", "0.3", "--max-unpacked-mb", "20")
    made = FakeServer(tmp_path_factory.mktemp("serve"), *flags).start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def postgres():
    from postgres import Postgres

    try:
        made = Postgres()
    except FileNotFoundError:
        pytest.skip("no PostgreSQL is installed, and no package pgserver")
    yield made
    made.close()
