from nets import Play
from nets.runs.canonical import address, dense_of
from nets.runs.folder import RunFolder
from nets.runs.jobs import Job, jobs
from nets.sweeps import make_plan, plays_of


def test_densities_share_one_chain_and_one_dense_run_serves_all(tmp_path):
    plays = plays_of({"epochs": 4, "method": ["imp", "concave"], "density": [0.4, 0.1], "seed": [0, 1]})
    plan = make_plan(plays, tmp_path)
    assert len(plan.runs) == 8 + 2
    assert [(job.play.method, job.densities) for job in plan.jobs] == [
        ("dense", (1.0,)),
        ("dense", (1.0,)),
        ("imp", (0.4, 0.1)),
        ("imp", (0.4, 0.1)),
        *[("concave", (0.4,))] * 2,
        *[("concave", (0.1,))] * 2,
    ]
    # imp: 11 rounds of 4 epochs down to 10%, two retrainings; concave: one search and one retraining.
    assert plan.epochs == 2 * (4 + (11 * 4 + 2 * 4) + 2 * (4 + 4))
    assert plan.counts == {"new": 10}
    assert not list(tmp_path.iterdir())  # planning writes nothing


def test_the_longest_jobs_come_first(tmp_path):
    plays = plays_of({"epochs": 2, "method": ["random", "concave", "imp"], "density": 0.1})
    plan = make_plan(plays, tmp_path)
    assert [job.play.method for job in plan.jobs] == ["dense", "imp", "concave", "random"]


def test_states_and_what_is_to_do(tmp_path):
    plays = [Play(epochs=1, method="random", seed=seed) for seed in range(3)]
    folders = [RunFolder(tmp_path / address(play)) for play in plays]
    for folder, play in zip(folders, plays):
        folder.path.mkdir()
        folder.open(play)
    folders[0].write_result({})
    folders[1].write_failure("no luck", "")
    plan = make_plan(plays, tmp_path)
    assert plan.counts == {"finished": 1, "failed": 1, "interrupted": 1, "new": 3}
    assert plan.to_do == 5
    again = make_plan(plays, tmp_path, retry_failed=False)
    assert plays[1] not in [play for job in again.jobs for play in job.plays]


def test_dense_runs_asked_for_are_not_made_twice(tmp_path):
    plays = plays_of({"method": ["dense", "random"], "density": [0.1, 0.2]})
    plan = make_plan(plays, tmp_path)
    assert [run.method for run in plan.runs] == ["dense", "random", "random"]
    assert plan.runs[0] == dense_of(plays[0])


def test_jobs_of_plays():
    play = Play(method="imp")
    made = jobs([Play(method="imp", density=d, seed=s) for s in (0, 1) for d in (0.1, 0.3, 0.1)])
    assert [(job.play.seed, job.densities) for job in made] == [(0, (0.3, 0.1)), (1, (0.3, 0.1))]
    assert made[0].plays == (Play(method="imp", density=0.3), Play(method="imp", density=0.1))
    assert Job(play, (0.5, 0.25)).epochs == 7 * 20 + 2 * 20  # 0.8 ** 7 is the first below a quarter
