"""How many weights NVAE's release has, counted layer by layer from its description.

Independent of how this package builds its cells; after `model.py`, `neural_operations.py` and
`neural_ar_operations.py` of github.com/NVlabs/NVAE.
"""

from pc_crvae.config.nvae import NVAEConfig


def release_weights(
    config: NVAEConfig, image_channels: int, output_channels: int, top: tuple[int, int]
) -> int:
    """Weights of the release's network.

    Args:
        config: the architecture.
        image_channels: of an image, 1 or 3.
        output_channels: the likelihood's parameters a pixel.
        top: (H, W) of the smallest scale.
    """
    latent, scales = config.latent_channels, len(config.groups_per_scale)
    c = config.initial_channels
    total = _conv(image_channels, c, 3)
    for _ in range(config.preprocess_blocks):
        total += (config.preprocess_cells - 1) * _encoder(c, c) + _encoder(c, 2 * c)
        c *= 2
    groups_left = sum(config.groups_per_scale)
    for scale, groups in enumerate(reversed(config.groups_per_scale)):
        for _ in range(groups):
            groups_left -= 1
            total += config.encoder_cells * _encoder(c, c)
            total += _conv(c, c, 1) if groups_left else 0  # the combiner
        if scale < scales - 1:
            total += _encoder(c, 2 * c)
            c *= 2
    total += _conv(c, c, 1) + c * top[0] * top[1]  # enc0; what the decoder starts with
    for scale, groups in enumerate(config.groups_per_scale):
        for group in range(groups):
            total += _conv(c, 2 * latent, 3) + 2 * config.flows * _flow_cell(latent)
            total += _conv(c + latent, c, 1)
            if (scale, group) != (0, 0):
                total += _conv(c, 2 * latent, 1)
                total += config.decoder_cells * _decoder(c, c, config.expansion)
        if scale < scales - 1:
            total += _decoder(c, c // 2, config.expansion)
            c //= 2
    for _ in range(config.preprocess_blocks):
        total += _decoder(c, c // 2, config.postprocess_expansion)
        c //= 2
        total += (config.postprocess_cells - 1) * _decoder(c, c, config.postprocess_expansion)
    return total + _conv(c, output_channels, 3)


def _conv(before: int, after: int, size: int, *, norm: bool = True, bias: bool = True) -> int:
    return before * after * size**2 + after * (norm + bias)


def _squeeze(channels: int) -> int:
    hidden = max(channels // 16, 4)
    return 2 * channels * hidden + hidden + channels


def _encoder(before: int, after: int) -> int:
    cell = 2 * before + _conv(before, after, 3) + 2 * after + _conv(after, after, 3)
    return cell + _squeeze(after) + (_conv(before, after, 1) if before != after else 0)


def _decoder(before: int, after: int, expansion: int) -> int:
    hidden = before * expansion
    inner = before * hidden + 2 * hidden + 25 * hidden + 2 * hidden + hidden * after
    cell = 2 * before + inner + 2 * after + _squeeze(after)
    return cell + (_conv(before, after, 1, bias=False) if before != after else 0)


def _flow_cell(latent: int) -> int:
    hidden = 6 * latent
    return _conv(latent, hidden, 3, bias=False) + 25 * hidden + hidden + _conv(hidden, latent, 1)
