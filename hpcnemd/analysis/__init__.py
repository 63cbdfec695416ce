"""Estimators on stored data: block statistics, stationarity, conductivity and entropy production, Einstein and Green-Kubo relations."""
