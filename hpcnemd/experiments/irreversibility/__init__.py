"""What the experiments on irreversibility share: tables of the deck, the launch of a list of cases, the page of the report."""
