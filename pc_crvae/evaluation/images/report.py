"""The report of an evaluation on images, as text."""

from typing import Any


def format_images(report: dict[str, Any]) -> str:
    """Lay a report out as plain text."""
    protocol = report["protocol"]
    count = protocol["evaluated_items"]
    lines = [f"{count:,} images of the {protocol['split']} split of {protocol['data']}"]
    if report["nll"] is not None:
        nll, sizes = report["nll"], report["nll"]["effective_sample_size"]
        per_dimension = nll["bits_per_dimension"]
        of_each = "" if per_dimension is None else f", {per_dimension:.4f} bits a dimension"
        lines.append(
            f"  NLL                 {_with_error(nll)} nats{of_each} (S = {nll['samples']}, "
            f"effective {sizes['median']:.0f} in the median, {sizes['min']:.0f} at least)"
        )
        for name in ("elbo", "rate", "distortion"):
            title = name.upper() if name == "elbo" else name
            lines.append(f"  {title:20}{_with_error(report[name])} nats")
        if len(report["kl_per_group"]) > 1:
            shown = ", ".join(f"{value:.2f}" for value in report["kl_per_group"])
            lines.append(f"  rate by group       {shown}")
        consistency = report["consistency_kl"]
        floor = consistency["floor"]
        lines.append(
            f"  consistency KL      {_with_error(consistency)} nats"
            + (f" ({_with_error(floor)} of images left as they are)" if floor["mean"] else "")
        )
    lines.append(f"  active units        {report['active_units']} of {report['dimensions']}")
    for title, name in (
        ("mutual information", "mutual_information"),
        ("MI, top group alone", "mutual_information_top_group"),
    ):
        if report[name] is not None:
            information = report[name]
            lines.append(
                f"  {title:20}{information['estimate']:.3f} ± {information['stderr']:.3f} "
                f"nats, log N = {information['log_n']:.3f}"
                + (" (saturated: do not rank by it)" if information["saturated"] else "")
            )
    for name, found in (report["classifiers"] or {}).items():
        lines.append(
            f"  {name.replace('_', ' '):20}{found['accuracy']:.2%} of {found['test_items']:,}"
            + ("" if found["converged"] else " (not converged)")
        )
    return "\n".join(lines + [f"note: {note}" for note in report["notes"]])


def _with_error(figure: dict[str, Any]) -> str:
    return f"{figure['mean']:.3f} ± {figure['stderr']:.3f}"
