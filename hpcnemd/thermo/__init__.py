"""Thermodynamic functions: a leaf library without MPI and without h5py.

Pure functions on SI floats (J, mol, K, Pa, m^3); unit strings exist at the boundary only (`units`). Every result that leaves the library is a
`ledger.Record`: the potential that was minimised, the candidates that were used and excluded, the data and its hash, the gas constant, residuals
and a status. Premises that cannot be met are named errors (`errors`), never a number.
"""
