"""Convolutions by Fourier transforms: a fifth of the multiplications where kernels are wide and images small.

Images u of n x n pixels with zeros around them, a kernel w of s x s taps, m = floor((s - 1) / 2) of them before the middle:
    y(x) = sum_k w(k) u(x + k - m) = sum_f exp(2 pi i f.x / N) K(f) U(f),  N = n + floor(s / 2) frequencies along each axis,
    U(f) = sum_x exp(-2 pi i f.x / N) u(x),  K(f) = 1/N^2 sum_k exp(2 pi i f.(k - m) / N) w(k).
N is enough: what leaves an image on one side comes back on the other beyond its last pixel. u is real: the frequencies of the
rows from 0 to N/2 tell the others. Products of matrices transform so few pixels fastest, with the steps as the last axis.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Images = Float[Tensor, "row column channel step"]
Spectra = Float[Tensor, "row_frequency column_frequency part*channel step"]  # real parts of all channels, then the imaginary


class Convolution(nn.Conv2d):
    """The layer of torch for images of `pixels` x `pixels`: images(kernels() @ spectra(u)) is y, without the bias."""

    def __init__(self, pixels: int, before: int, after: int, side: int) -> None:
        super().__init__(before, after, side)
        n = pixels + side // 2
        waves = torch.fft.fft(torch.eye(n, dtype=torch.float64))  # frequency, pixel
        half, taps = waves[: n // 2 + 1], torch.arange(side) - (side - 1) // 2
        share = (1 + (2 * torch.arange(len(half)) % n != 0)) / n**2  # 1/N^2 for a frequency of the rows and its double
        kernel = torch.einsum("f,fr,gc->fgrc", share, half[:, taps].conj(), waves[:, taps].conj())
        rows, columns = _real(half[:, :pixels])[:, 0], _real(waves[:, :pixels])  # part of U, part of u, frequency, pixel
        self.register_buffer("rows", rows.transpose(0, 1).flatten(0, 1).float(), persistent=False)
        self.register_buffer("columns", columns.permute(2, 0, 1, 3).flatten(2).flatten(0, 1).float(), persistent=False)
        self.register_buffer("taps", _real(kernel).float(), persistent=False)

    def kernels(self) -> Float[Tensor, "row_frequency column_frequency part*after part*before"]:
        """K(f), twice where a frequency stands for two."""
        return torch.einsum("pqfgrc,abrc->fgpaqb", self.taps, self.weight).flatten(4).flatten(2, 3)

    def spectra(self, images: Images) -> Spectra:
        """U(f)."""
        half = self.rows @ images.flatten(1)
        both = self.columns @ half.view(self.taps.shape[2], self.columns.shape[1], -1)
        return both.view(*self.taps.shape[2:4], -1, images.shape[3])

    def images(self, spectra: Spectra) -> Images:
        """Sum over f: the transposed transform."""
        half = self.columns.T @ spectra.view(self.taps.shape[2], len(self.columns), -1)
        return (self.rows.T @ half.view(len(self.rows), -1)).view(self.rows.shape[1], self.rows.shape[1], -1, spectra.shape[3])


def _real(z: Tensor) -> Float[Tensor, "part part *of_z"]:
    """[[Re, -Im], [Im, Re]]: what z does to a complex number, done to its parts."""
    return torch.stack([torch.stack([z.real, -z.imag]), torch.stack([z.imag, z.real])])
