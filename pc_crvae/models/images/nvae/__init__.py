"""NVAE (Vahdat & Kautz 2020, arXiv 2007.03898): a deep hierarchical VAE of images."""

from pc_crvae.models.images.nvae.model import NVAE

__all__ = ["NVAE"]
