"""The network step compiled for the CPU, forwards and backwards in time.

The same equations as `cells.step` and `model.advance_plain`, which the tests compare with these. Arrays are
(cell, trial): the trials of one cell lie side by side, so that a synapse is one vector operation over trials.
A cell's input is gathered synapse by synapse: at 9 % filling this costs a sixth of the dense product.
"""

import numpy as np

from respike.core.compiled import njit

FAST = {"contract", "reassoc", "nsz"}  # sums may be vectorised; infinities and not-a-number keep their meaning


@njit(fastmath=FAST)
def gather(total, first, last, sender, weight, spikes):
    """total += sum over the synapses first..last-1 of weight times the sender's spikes."""
    n_trials = total.size
    k = first
    while k + 4 <= last:
        w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        s0, s1, s2, s3 = spikes[sender[k]], spikes[sender[k + 1]], spikes[sender[k + 2]], spikes[sender[k + 3]]
        for j in range(n_trials):
            total[j] += w0 * s0[j] + w1 * s1[j] + (w2 * s2[j] + w3 * s3[j])
        k += 4
    while k < last:
        w0, s0 = weight[k], spikes[sender[k]]
        for j in range(n_trials):
            total[j] += w0 * s0[j]
        k += 1


@njit(fastmath=FAST)
def correlate(gradient, first, last, sender, by_current, spikes):
    """gradient of the weights first..last-1 += product of the receiver's gradient and the sender's spikes over trials."""
    n_trials = by_current.size
    k = first
    while k + 4 <= last:
        s0, s1, s2, s3 = spikes[sender[k]], spikes[sender[k + 1]], spikes[sender[k + 2]], spikes[sender[k + 3]]
        g0 = g1 = g2 = g3 = np.float32(0)
        for j in range(n_trials):
            g = by_current[j]
            g0 += g * s0[j]
            g1 += g * s1[j]
            g2 += g * s2[j]
            g3 += g * s3[j]
        gradient[k] += g0
        gradient[k + 1] += g1
        gradient[k + 2] += g2
        gradient[k + 3] += g3
        k += 4
    while k < last:
        s0 = spikes[sender[k]]
        g0 = np.float32(0)
        for j in range(n_trials):
            g0 += by_current[j] * s0[j]
        gradient[k] += g0
        k += 1


@njit(fastmath=FAST)
def cell_forwards(current, v, b, s, v_out, b_out, s_out, alpha, rho, baseline, adaptation):
    """One cell's step: v, b, s become the new state, which v_out, b_out and s_out (byte) also receive."""
    one = np.float32(1)
    for j in range(v.size):
        adapted = rho * b[j] + (one - rho) * s[j]
        threshold = baseline + adaptation * adapted
        potential = alpha * v[j] + (one - alpha) * current[j] - threshold * s[j]
        fired = potential - threshold > np.float32(0)
        b[j] = adapted
        v[j] = potential
        s[j] = one if fired else np.float32(0)
        b_out[j] = adapted
        v_out[j] = potential
        s_out[j] = fired


@njit(fastmath=FAST)
def read(evidence, rows, readout, spikes):
    """evidence (class, trial) of one step: the spikes of the cells `rows`, weighted by the readout."""
    for c in range(readout.shape[0]):
        total = evidence[c]
        total[:] = 0
        for k in range(rows.size):
            w, sn = readout[c, k], spikes[rows[k]]
            for j in range(total.size):
                total[j] += w * sn[j]


@njit(fastmath=FAST)
def forwards(
    drive, v, b, s, bounds, start, sender, weight, alpha, rho, baseline, adaptation, rows, readout,
    all_v, all_b, all_s, evidence,
):  # fmt: skip
    """Run the network over drive (step, thalamic cell, trial); v, b, s (cell, trial) are changed in place.

    Fills all_v, all_b (float) and all_s (byte) of shape (step, cell, trial) and evidence (step, class, trial).
    """
    n_steps, n_thalamic, n_trials = drive.shape
    current = np.empty((v.shape[0], n_trials), np.float32)
    for t in range(n_steps):
        current[:n_thalamic] = drive[t]
        for p in range(bounds.size - 1):
            if p > 0:
                for n in range(bounds[p], bounds[p + 1]):
                    current[n] = 0
                    gather(current[n], start[n - n_thalamic], start[n - n_thalamic + 1], sender, weight, s)
            for n in range(bounds[p], bounds[p + 1]):
                cell_forwards(
                    current[n], v[n], b[n], s[n], all_v[t, n], all_b[t, n], all_s[t, n],
                    alpha[n], rho[n], baseline, adaptation,
                )  # fmt: skip
        read(evidence[t], rows, readout, s)


@njit(fastmath=FAST)
def cell_backwards(gv, gb, gs, gi, v, b, slope, old_v, old_b, old_s, alpha, rho, baseline, adaptation):
    """Gradients of one cell's step: gv, gb, gs by the new state become those by the old one, gi that by the current.

    Gives the gradients by alpha and rho. The current is not kept: it follows from the potentials.
    """
    one = np.float32(1)
    share = one / (one - alpha)
    total_a = total_r = np.float32(0)
    for j in range(gv.size):
        threshold = baseline + adaptation * b[j]
        current = (v[j] - alpha * old_v[j] + threshold * old_s[j]) * share
        by_x = gs[j] * slope[j]
        by_potential = by_x + gv[j]
        by_adapted = gb[j] - adaptation * (by_x + by_potential * old_s[j])
        gi[j] = (one - alpha) * by_potential
        total_a += by_potential * (old_v[j] - current)
        total_r += by_adapted * (old_b[j] - old_s[j])
        gs[j] = (one - rho) * by_adapted - threshold * by_potential
        gv[j] = alpha * by_potential
        gb[j] = rho * by_adapted
    return total_a, total_r


@njit(fastmath=FAST)
def readout_backwards(by_evidence, rows, readout, spikes, by_s, by_readout):
    """Add the gradients of one step's evidence by the spikes that it reads and by the readout."""
    for c in range(readout.shape[0]):
        g = by_evidence[c]
        for k in range(rows.size):
            w, gs, sn = readout[c, k], by_s[rows[k]], spikes[rows[k]]
            total = np.float32(0)
            for j in range(g.size):
                gs[j] += w * g[j]
                total += g[j] * sn[j]
            by_readout[c, k] += total


@njit(fastmath=FAST)
def backwards(
    by_evidence, slope, v_before, b_before, s_before, all_v, all_b, all_s, now, by_v, by_b, by_s,
    bounds, start, sender, group, group_sender, group_start, group_receiver, group_weight,
    alpha, rho, baseline, adaptation, rows, readout, by_drive, by_weight, by_alpha, by_rho, by_readout,
):  # fmt: skip
    """Gradients of `forwards` over the same steps, last step first.

    `now` holds the last spikes; by_v, by_b, by_s hold the gradients by the last state and end as those by the first.
    The group arrays are the synapses once more, by receiving population and then by sender.
    """
    n_steps, n_thalamic, n_trials = by_drive.shape
    by_current = np.empty((now.shape[0], n_trials), np.float32)
    for t in range(n_steps - 1, -1, -1):
        readout_backwards(by_evidence[t], rows, readout, now, by_s, by_readout)
        for p in range(bounds.size - 2, -1, -1):
            for n in range(bounds[p], bounds[p + 1]):
                if t > 0:
                    for j in range(n_trials):
                        now[n, j] = all_s[t - 1, n, j]
                else:
                    now[n] = s_before[n]
                old_v = all_v[t - 1, n] if t > 0 else v_before[n]
                old_b = all_b[t - 1, n] if t > 0 else b_before[n]
                total_a, total_r = cell_backwards(
                    by_v[n], by_b[n], by_s[n], by_current[n], all_v[t, n], all_b[t, n], slope[t, n], old_v, old_b, now[n],
                    alpha[n], rho[n], baseline, adaptation,
                )  # fmt: skip
                by_alpha[n] += total_a
                by_rho[n] += total_r
            if p == 0:
                by_drive[t] = by_current[:n_thalamic]
                continue
            # here `now` holds what population p saw: new spikes of earlier populations, old ones of itself and later ones
            for n in range(bounds[p], bounds[p + 1]):
                correlate(by_weight, start[n - n_thalamic], start[n - n_thalamic + 1], sender, by_current[n], now)
            for k in range(group[p], group[p + 1]):
                gather(by_s[group_sender[k]], group_start[k], group_start[k + 1], group_receiver, group_weight, by_current)
