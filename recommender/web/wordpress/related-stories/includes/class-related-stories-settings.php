<?php
/**
 * The settings page.
 *
 * @package Related_Stories
 */

defined( 'ABSPATH' ) || exit;

/**
 * Settings > Related stories. Capabilities and nonces are those of the Settings API.
 */
class Related_Stories_Settings {

	/**
	 * Puts the page into the menu.
	 *
	 * @param string $plugin The plug-in as WordPress names it.
	 */
	public static function hook( $plugin ) {
		add_action( 'admin_init', array( __CLASS__, 'register' ) );
		add_action(
			'admin_menu',
			function () {
				$name = __( 'Related stories', 'related-stories' );
				add_options_page( $name, $name, 'manage_options', 'related-stories', array( __CLASS__, 'page' ) );
			}
		);
		add_filter(
			'plugin_action_links_' . $plugin,
			function ( $links ) {
				$link = '<a href="' . esc_url( admin_url( 'options-general.php?page=related-stories' ) ) . '">' . esc_html__( 'Settings', 'related-stories' ) . '</a>';
				return array_merge( array( $link ), $links );
			}
		);
	}

	/**
	 * Tells WordPress of the option and its fields.
	 */
	public static function register() {
		register_setting(
			'related_stories',
			'related_stories',
			array(
				'type'              => 'array',
				'sanitize_callback' => array( __CLASS__, 'sanitize' ),
			)
		);
		add_settings_section( 'related_stories', '', '__return_false', 'related-stories' );
		$fields = array(
			'source'  => __( 'Lists come from', 'related-stories' ),
			'server'  => __( 'Its address', 'related-stories' ),
			'number'  => __( 'Number of stories', 'related-stories' ),
			'title'   => __( 'Title', 'related-stories' ),
			'replace' => __( 'In place of the latest posts', 'related-stories' ),
			'append'  => __( 'Below the article', 'related-stories' ),
		);
		foreach ( $fields as $field => $label ) {
			add_settings_field(
				$field,
				esc_html( $label ),
				array( __CLASS__, 'field' ),
				'related-stories',
				'related_stories',
				array(
					'field'     => $field,
					'label_for' => "related-stories-$field",
				)
			);
		}
	}

	/**
	 * What is stored of what was typed. An address that is none is refused with a message; the stored one stays.
	 *
	 * @param mixed $typed The form.
	 */
	public static function sanitize( $typed ) {
		$typed  = is_array( $typed ) ? $typed : array();
		$server = isset( $typed['server'] ) && is_string( $typed['server'] ) ? trim( $typed['server'] ) : '';
		$clean  = esc_url_raw( $server, array( 'http', 'https' ) );
		if ( '' !== $server && ( '' === $clean || ! preg_match( '~^https?://[^/?#]+[^?#]*$~i', $server ) ) ) {
			add_settings_error( 'related_stories', 'server', __( 'The address must begin with http:// or https:// and name a host; it was not changed.', 'related-stories' ) );
			$clean = related_stories_settings()['server'];
		}
		return array(
			'source'  => isset( $typed['source'] ) && 'export' === $typed['source'] ? 'export' : 'server',
			'server'  => untrailingslashit( $clean ),
			'number'  => isset( $typed['number'] ) && is_scalar( $typed['number'] ) ? max( 1, min( 20, (int) $typed['number'] ) ) : 5,
			'title'   => isset( $typed['title'] ) && is_string( $typed['title'] ) ? sanitize_text_field( $typed['title'] ) : '',
			'append'  => ! empty( $typed['append'] ),
			'replace' => ! empty( $typed['replace'] ),
		);
	}

	/**
	 * Prints one field.
	 *
	 * @param array $args 'field' and 'label_for'.
	 */
	public static function field( $args ) {
		$value = related_stories_settings()[ $args['field'] ];
		$id    = $args['label_for'];
		$name  = 'related_stories[' . $args['field'] . ']';
		if ( 'source' === $args['field'] ) {
			printf(
				'<select id="%s" name="%s"><option value="server">%s</option><option value="export"%s>%s</option></select>',
				esc_attr( $id ),
				esc_attr( $name ),
				esc_html__( 'a server: recommender serve', 'related-stories' ),
				selected( $value, 'export', false ),
				esc_html__( 'static files: recommender export', 'related-stories' )
			);
		} elseif ( is_bool( $value ) ) {
			printf( '<input id="%s" name="%s" type="checkbox" value="1" %s>', esc_attr( $id ), esc_attr( $name ), checked( $value, true, false ) );
		} elseif ( is_int( $value ) ) {
			printf( '<input id="%s" name="%s" type="number" class="small-text" min="1" max="20" value="%d">', esc_attr( $id ), esc_attr( $name ), (int) $value );
		} else {
			printf( '<input id="%s" name="%s" type="text" class="regular-text" value="%s">', esc_attr( $id ), esc_attr( $name ), esc_attr( $value ) );
		}
		$notes = array(
			'server'  => __( 'As the web server of this site reaches it: of the server, for example http://127.0.0.1:8377, or of the folder with the static files, for example https://cdn.example/stories', 'related-stories' ),
			'number'  => __( 'At most so many; static files hold no more than they were exported with (-k).', 'related-stories' ),
			'title'   => __( "Empty: 'Related stories' in the language of the site.", 'related-stories' ),
			'replace' => __( "On the page of an article, the 'Recent Posts' widget and the 'Latest Posts' block show related stories.", 'related-stories' ),
			'append'  => __( 'At the end of its text. Nothing is added where nothing is related.', 'related-stories' ),
		);
		if ( isset( $notes[ $args['field'] ] ) ) {
			printf( is_bool( $value ) ? ' <span class="description">%s</span>' : '<p class="description">%s</p>', esc_html( $notes[ $args['field'] ] ) );
		}
	}

	/**
	 * Prints the page.
	 */
	public static function page() {
		if ( ! current_user_can( 'manage_options' ) ) {
			return;
		}
		echo '<div class="wrap"><h1>' . esc_html( get_admin_page_title() ) . '</h1><form action="options.php" method="post">';
		settings_fields( 'related_stories' );
		do_settings_sections( 'related-stories' );
		submit_button();
		echo '</form>';
		$posts = get_posts( array( 'numberposts' => 1, 'has_password' => false ) );
		if ( $posts && '' !== Related_Stories_Source::url( $posts[0]->ID, related_stories_settings() ) ) {
			echo '<p id="related-stories-told">' . esc_html( Related_Stories_Source::told( $posts[0]->ID, related_stories_settings() ) ) . '</p>';
		}
		echo '</div>';
	}
}
