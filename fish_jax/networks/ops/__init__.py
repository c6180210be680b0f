"""Operations of the networks, in the form that is fastest on each platform."""
