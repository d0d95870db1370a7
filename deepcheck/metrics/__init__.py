"""How well scores tell bona fide from spoof, how sure that is, and what a score then means; numpy only."""
