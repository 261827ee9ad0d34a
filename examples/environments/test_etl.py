"""Tests of a flow with its callbacks: no cluster, no image, no mock."""

from etl import environment, load, local, notify, prepare

from podhooks import ExitInfo, Hook, PodInfo, Result, RunContext


def test_a_callback_alone(tmp_path, capsys):
    """A context is made of values, by hand."""
    import asyncio

    context = RunContext(Hook.ON_START, "prepare", PodInfo("pod", "ns", "uid"), "main", "key", str(tmp_path))
    prepare(context)
    end = ExitInfo(Result.OOM_KILLED, exit_code=137)
    asyncio.run(notify(context.replace(hook=Hook.ON_EXIT, exit=end), channel="#x"))
    assert capsys.readouterr().out == "#x: orders: OOMKilled\n"


def test_the_flow_with_its_callbacks_in_this_process(capfd):
    handle = local.execute(load, {"rows": 2})
    assert handle.value == 2
    assert [each.outcome.status.value for each in handle.callbacks] == ["succeeded", "succeeded"]
    assert "#jobs: orders: Succeeded" in capfd.readouterr().out


def test_the_same_in_a_job_on_the_stand_in():
    """The very programs that run in a pod run here."""
    with environment.execute(load, {"rows": -1}) as handle:
        assert handle.wait(60).message == "ValueError: no rows"
        assert any("#jobs: orders: Failed ValueError: no rows" in line for line in handle.logs("on-exit"))
