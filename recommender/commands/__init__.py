"""The commands of `recommender`, by what they are for. They translate words into calls of Recommender, and do not think."""
