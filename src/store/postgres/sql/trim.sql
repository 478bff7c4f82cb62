DELETE FROM "@changes" WHERE position < (SELECT position FROM "@meta") - $1
