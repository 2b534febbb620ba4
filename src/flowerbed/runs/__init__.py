"""What a run told, reduced and judged; how runs are named and shown. Pure: text and times in, words out."""
