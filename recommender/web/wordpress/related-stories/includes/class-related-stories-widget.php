<?php
/**
 * The classic widget.
 *
 * @package Related_Stories
 */

defined( 'ABSPATH' ) || exit;

/**
 * 'Related stories' on the page of an article; elsewhere, and where none can be had, the latest posts.
 */
class Related_Stories_Widget extends WP_Widget {

	/**
	 * Its name in the admin pages.
	 */
	public function __construct() {
		parent::__construct(
			'related_stories',
			__( 'Related stories', 'related-stories' ),
			array(
				'description'           => __( 'The stories that belong to the article; elsewhere the latest posts.', 'related-stories' ),
				'show_instance_in_rest' => true,
			)
		);
	}

	/**
	 * Prints the list.
	 *
	 * @param array $args     The theme's markup.
	 * @param array $instance 'title' and 'number'.
	 */
	public function widget( $args, $instance ) {
		$instance = $this->complete( $instance );
		$html     = related_stories_or_latest( $instance['title'], $instance['number'] );
		if ( '' !== $html ) {
			echo $args['before_widget'], $html, $args['after_widget']; // phpcs:ignore WordPress.Security.EscapeOutput -- escaped where it is made, the rest is the theme's.
		}
	}

	/**
	 * Prints the fields.
	 *
	 * @param array $instance 'title' and 'number'.
	 */
	public function form( $instance ) {
		$instance = $this->complete( $instance );
		printf(
			'<p><label for="%1$s">%2$s</label> <input class="widefat" id="%1$s" name="%3$s" type="text" value="%4$s"></p>',
			esc_attr( $this->get_field_id( 'title' ) ),
			esc_html__( 'Title (empty: as in the settings):', 'related-stories' ),
			esc_attr( $this->get_field_name( 'title' ) ),
			esc_attr( $instance['title'] )
		);
		printf(
			'<p><label for="%1$s">%2$s</label> <input class="tiny-text" id="%1$s" name="%3$s" type="number" min="0" max="20" value="%4$d"></p>',
			esc_attr( $this->get_field_id( 'number' ) ),
			esc_html__( 'Number of stories (0: as in the settings):', 'related-stories' ),
			esc_attr( $this->get_field_name( 'number' ) ),
			(int) $instance['number']
		);
	}

	/**
	 * What is stored of what was typed.
	 *
	 * @param array $new_instance What was typed.
	 * @param array $old_instance What was stored.
	 */
	public function update( $new_instance, $old_instance ) {
		return $this->complete( $new_instance );
	}

	/**
	 * Both fields, clean.
	 *
	 * @param array $instance 'title' and 'number'.
	 */
	private function complete( $instance ) {
		return array(
			'title'  => isset( $instance['title'] ) ? sanitize_text_field( $instance['title'] ) : '',
			'number' => isset( $instance['number'] ) ? max( 0, min( 20, (int) $instance['number'] ) ) : 0,
		);
	}
}
