"""Invented systems: no real material, so nothing has to be quoted. TDB texts and own phases of the same numbers."""
from pathlib import Path

from hpcnemd.thermo.binary import SolutionPhase

BINARY = Path(__file__).resolve().parents[2] / "jobs" / "thermo_invented.tdb"
GAS = BINARY.with_name("thermo_gas.toml")
GAPS = ((20000.0, 0.0), (16000.0, 4000.0), (14000.0, -6000.0), (17000.0, 3000.0))

HEAD = "ELEMENT VA VACUUM 0 0 0 !\nELEMENT AA SOL 10 0 0 !\nELEMENT BB SOL 10 0 0 !\nELEMENT CC SOL 10 0 0 !\nTYPE_DEFINITION % SEQ * !\n"
TERNARY = HEAD + """
PHASE SOL % 1 1 !
CONSTITUENT SOL :AA,BB,CC: !
PARAMETER G(SOL,AA;0) 298.15 0; 3000 N !
PARAMETER G(SOL,BB;0) 298.15 0; 3000 N !
PARAMETER G(SOL,CC;0) 298.15 0; 3000 N !
PARAMETER L(SOL,AA,BB;0) 298.15 18000; 3000 N !
PARAMETER L(SOL,AA,CC;0) 298.15 20000-4*T; 3000 N !
PARAMETER L(SOL,BB,CC;0) 298.15 15000; 3000 N !
PARAMETER L(SOL,BB,CC;1) 298.15 2500; 3000 N !
PHASE LIQ % 1 1 !
CONSTITUENT LIQ :AA,BB,CC: !
PARAMETER G(LIQ,AA;0) 298.15 9000-9*T; 3000 N !
PARAMETER G(LIQ,BB;0) 298.15 8000-10*T; 3000 N !
PARAMETER G(LIQ,CC;0) 298.15 7000-10*T; 3000 N !
PARAMETER L(LIQ,AA,BB;0) 298.15 5000; 3000 N !
PHASE ORD % 2 .5 .5 !
CONSTITUENT ORD :AA,BB:BB,CC: !
PARAMETER G(ORD,AA:BB;0) 298.15 -3000; 3000 N !
PARAMETER G(ORD,AA:CC;0) 298.15 -6000; 3000 N !
PARAMETER G(ORD,BB:BB;0) 298.15 4000; 3000 N !
PARAMETER G(ORD,BB:CC;0) 298.15 -2000; 3000 N !
"""
ORDERING = HEAD + """
PHASE B2 % 2 .5 .5 !
CONSTITUENT B2 :AA,BB:AA,BB: !
PARAMETER G(B2,AA:AA;0) 298.15 0; 3000 N !
PARAMETER G(B2,BB:BB;0) 298.15 0; 3000 N !
PARAMETER G(B2,AA:BB;0) 298.15 -8314.5; 3000 N !
PARAMETER G(B2,BB:AA;0) 298.15 -8314.5; 3000 N !
"""


def gap(*terms):
    """A solution phase with constant Redlich-Kister terms and zero ends."""
    return SolutionPhase("SOL", lambda t: 0.0, lambda t: 0.0, tuple((lambda t, value=value: value) for value in terms))


def random_binary(rng):
    """TDB text of three phases with random ends and subregular interactions."""
    out = [HEAD.replace("ELEMENT CC SOL 10 0 0 !\n", "")]
    for k in range(3):
        va, sites = (":VA", "2 1 1") if k == 1 else ("", "1 1")
        out.append(f"PHASE PH{k} % {sites} !\nCONSTITUENT PH{k} :AA,BB{' : VA' if va else ''}: !")
        for element in ("AA", "BB"):
            h, s = (0.0, 0.0) if k == 0 else (rng.uniform(1000, 8000), rng.uniform(0, 12))
            out.append(f"PARAMETER G(PH{k},{element}{va};0) 300 {h:+.4f}{-s:+.5f}*T; 2000 N !")
        for m, width in enumerate((18000, 4000, 2000)):
            out.append(f"PARAMETER L(PH{k},AA,BB{va};{m}) 300 {rng.uniform(-0.8 * width, width):+.4f}{rng.uniform(-3, 3):+.5f}*T; 2000 N !")
    return "\n".join(out) + "\n"
