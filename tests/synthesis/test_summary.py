import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO

from drgan_lib.files import read_json
from drgan_lib.metric import read_metrics
from drgan_lib.synthesis import contrast, load_synthetic, write_summary


def test_what_describes_the_set(make_stage, tmp_path):
    stage = make_stage(base_color=(0.15, 0.4))
    with pytest.raises(FileNotFoundError, match="stage 04"):
        load_synthetic(tmp_path)
    write_summary(stage.synthesize(folder=tmp_path), tmp_path, stage.exp)
    samples = load_synthetic(tmp_path)
    table = pd.read_csv(tmp_path / "parameters.csv", dtype={"image": str})
    columns = ["image", "seed", "n_particles", "contrast", "attempts"]
    assert list(table.columns) == [*columns, *stage.exp.material.parameters]
    for s, row in zip(samples, table.itertuples(), strict=True):
        assert (row.image, row.seed, row.n_particles) == (s.name, s.parameters["seed"], len(np.unique(s.instances)) - 1)
        assert row.contrast == pytest.approx(contrast(s.image, s.instances))
    acceptance = read_json(tmp_path / "acceptance.json")
    attempts = stage.renderer.calls
    assert attempts == table["attempts"].sum() > 4
    counts = {"accepted": 4, "attempts": attempts, "rejected": {"low contrast": attempts - 4}}
    assert acceptance == counts | {"rate": 4 / attempts}
    rate = read_metrics(tmp_path / "metrics.json")["acceptance_rate"]
    assert (rate.value, rate.n, rate.split) == (4 / attempts, attempts, "synthetic")
    coco = COCO(tmp_path / "coco.json")
    assert coco.dataset["info"]["description"] == stage.exp.material.title
    assert len(coco.anns) == table["n_particles"].sum()


def test_a_set_that_grew_for_another_run_is_here_as_long_as_it_was(make_stage, tmp_path):
    stage = make_stage()
    write_summary(stage.synthesize(folder=tmp_path), tmp_path, stage.exp)
    make_stage(overrides={"synthesis.n_images": 6}).synthesize()
    assert len(load_synthetic(tmp_path)) == 4


def test_a_contrast_without_limit_is_an_empty_cell(make_stage, tmp_path):
    stage = make_stage(overrides={"synthesis.n_images": 1})
    sample = stage.generator.sample

    def on_black(renderer, layouts, *, seeds):
        _, parameters = sample(renderer, layouts, seeds=seeds)
        return (renderer.image(parameters, layouts[0], seed=seeds[0]) > 0.3).float()[None, None], parameters

    stage.generator.sample = on_black
    write_summary(stage.synthesize(), tmp_path, stage.exp)
    assert pd.read_csv(tmp_path / "parameters.csv")["contrast"].isna().all()
