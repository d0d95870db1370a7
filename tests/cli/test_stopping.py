import os
import signal
import threading

import pytest

from deepcheck.cli.stopping import Stopped, exit_code, stoppable


@pytest.fixture(autouse=True)
def _as_in_a_shell():
    """Whoever started the tests may ignore signals: nohup, a job in the background."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_raise_where_the_process_is(number, code):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as caught, stoppable():
        os.kill(os.getpid(), number)
    assert isinstance(caught.value, Stopped)
    assert exit_code(caught.value) == code
    assert signal.getsignal(number) is before


def test_ctrl_c_is_left_as_it_is():
    with pytest.raises(KeyboardInterrupt) as caught, stoppable():
        os.kill(os.getpid(), signal.SIGINT)
    assert exit_code(caught.value) == 130


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_a_thread_nothing_is_handled():
    done = []

    def work():
        with stoppable():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
