"""A probe of features that are averaged over turned copies."""

from helpers.solids import clouds
from helpers.toy_models import with_encoder as model
from pc_crvae.embedding.rotation_average import averaged
from pc_crvae.evaluation.encoders import encoder_of, probe_model
from pc_crvae.evaluation.probe.classifier_settings import LinearSVM
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.probe.run import probe_encoders
from pc_crvae.evaluation.untrained import untrained_like


def test_training_and_test_items_are_averaged_alike_trained_and_untrained():
    train, test = clouds("train"), clouds("test")
    point_model = model(name="pointnet", widths=[8, 16])
    protocol = ProbeProtocol(
        points=24,
        seeds=(0,),
        average_over="C4",
        classifier=LinearSVM(c=(1e-1,)),
        settings=("z",),
        training_free=False,
    )
    found = probe_model(point_model, train, test, protocol)

    def of(encoder):
        return averaged(encoder_of(encoder), "C4")

    def untrained(seed):
        return of(untrained_like(point_model, seed, train, points=24))

    expected = probe_encoders(of(point_model), untrained, train, test, protocol)
    assert found.report == expected.report
    single = probe_model(
        point_model, train, test, protocol.model_copy(update={"average_over": None})
    )
    assert found.report.rows != single.report.rows
    assert found.report.protocol.fitted_on.endswith("turned by the group C4")
    assert single.report.protocol.fitted_on == "training shapes, unturned"
