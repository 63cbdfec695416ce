"""What the experiments on irreversibility share: tables of the deck, the launch of an ensemble, its result, the page of the report."""
