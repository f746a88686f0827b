"""From purchases to scaled features in three parts, and what `prepare` wrote of them."""
