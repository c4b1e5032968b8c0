"""How speech sounds to a listener: the E-model (ITU-T G.107), by default where nothing is measured.

R = Ro - Is - Id - Ie,eff + A, of which Ro - Is = 93.2 and A = 0 by default. Delay: Idd (7.4), for the echo is
cancelled. Loss: Ie,eff (7.5). For Opus, G.113 has no impairment factors; those of G.711 with packet loss
concealment and random loss stand in (G.113 appendix I: Ie = 0, Bpl = 25.1). So the best score is 4.41, of the
narrow-band scale.
"""

from math import log2

R_DEFAULT = 93.2  # Ro - Is with all parameters at their defaults (G.107, table 3)
IE = 0.0
BPL = 25.1


def mean_opinion_score(*, loss: float, delay_ms: float) -> float:
    """Estimated quality, 1 (bad) to 4.41, with `loss` percent of the speech lost and `delay_ms` one way."""
    return mos_of_rating(rating(loss=loss, delay_ms=delay_ms))


def rating(*, loss: float, delay_ms: float, ie: float = IE, bpl: float = BPL) -> float:
    """R, the transmission rating: 93.2 is the best."""
    return R_DEFAULT - delay_impairment(delay_ms) - effective_equipment_impairment(loss, ie, bpl)


def effective_equipment_impairment(loss: float, ie: float, bpl: float) -> float:
    """Ie,eff for random loss (BurstR = 1) of `loss` percent (G.107, 7.5)."""
    return ie + (95 - ie) * loss / (loss + bpl)


def delay_impairment(delay_ms: float) -> float:
    """Idd: nothing up to 100 ms, then ever more (G.107, 7.4, default delay sensitivity)."""
    if delay_ms <= 100:
        return 0.0
    x = log2(delay_ms / 100)
    impairment: float = 25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
    return impairment


def mos_of_rating(r: float) -> float:
    """G.107 annex B; below 6.5 the polynomial would fall under 1."""
    if r <= 6.5:
        return 1.0
    if r >= 100:
        return 4.5
    return 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6
