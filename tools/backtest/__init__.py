"""`make backtest`: how often an alert would have fired in the past, at its value and at others."""
